"""GND density: noise, denoising, curvature, and the fit of slip systems to it."""
