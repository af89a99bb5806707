"""What all docks share: choice of a map, jobs in workers, help, tour, scripts. Imports no dock."""
