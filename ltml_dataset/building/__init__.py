"""The stages of `build` between the sources and the files: jobs, shards, given labels, splits, the finished folder."""
