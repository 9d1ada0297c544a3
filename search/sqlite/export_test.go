package sqlite

// PruneFrom sets the number of chunks from which an index is large.
func (x *Index) PruneFrom(chunks int) { x.pruneFrom = float64(chunks) }
