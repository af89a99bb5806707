"""What the networks of the package share: training loop, model file, tiling, calibration."""
