"""Results on disk: the page, its figures and its data, all written or none; pages written again from what lies there."""
