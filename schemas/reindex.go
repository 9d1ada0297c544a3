package schemas

// ReindexInput starts the workflow that fills the index anew, or goes on with
// it where it stands.
type ReindexInput struct {
	// ID names the rebuild.
	ID string `json:"id"`
	// Begun says that the next generation is there.
	Begun bool `json:"begun,omitempty"`
	// Position is how far the records were walked.
	Position ReindexPosition `json:"position"`
}

// ReindexPosition is a place in the walk over the pages of all products.
type ReindexPosition struct {
	Product string `json:"product,omitempty"`
	Source  string `json:"source,omitempty"`
	Page    string `json:"page,omitempty"`
	// Pages were walked so far.
	Pages int `json:"pages,omitempty"`
	// Done says that all were.
	Done bool `json:"done,omitempty"`
}

// ReindexWorkflowID names the one rebuild of an installation.
const ReindexWorkflowID = "reindex"

// ReindexStatus is where the rebuild stands.
type ReindexStatus string

// Where a rebuild stands.
const (
	ReindexNone      ReindexStatus = "none"
	ReindexRunning   ReindexStatus = "running"
	ReindexCompleted ReindexStatus = "completed"
	ReindexFailed    ReindexStatus = "failed"
	ReindexCanceled  ReindexStatus = "canceled"
)

// Reindex is the newest rebuild of the index, as the API shows it.
type Reindex struct {
	Status    ReindexStatus `json:"status"`
	StartedAt *Time         `json:"startedAt,omitempty"`
	EndedAt   *Time         `json:"endedAt,omitempty"`
}
