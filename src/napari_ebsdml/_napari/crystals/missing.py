"""What a map lacks, and what to do; no Qt here."""

NO_PATTERNS = (
    "This map has no patterns. Open the pattern file itself (.up1, .up2, .ebsp, .dat, HDF5, or a "
    "folder of images), with the map beside it under the same name."
)
