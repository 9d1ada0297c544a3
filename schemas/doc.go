// Package schemas is Runa's vocabulary: the types that cross a process, a
// workflow payload or a store, with their validation, the error codes and the
// ids. It knows no storage, no transport and no other package of the project.
package schemas
