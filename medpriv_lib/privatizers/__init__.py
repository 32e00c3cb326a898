"""Methods that turn a cohort into a release, one file each, all on one protocol."""
