"""What all docks share: scans, tasks, tables, layers, settings. Imports no dock."""
