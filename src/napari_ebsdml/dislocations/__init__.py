"""Dislocations: lattice curvature, GND density per slip system, total density from a network."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["curvature", "denoise", "gnd", "noise", "predict", "slip_systems", "taylor"],
    submod_attrs={
        "curvature": ["lattice_curvature"],
        "article": ["ArticleDensity", "article_density"],
        "denoise": ["Denoise", "denoise_orientations"],
        "total.average": ["AverageDensity"],
        "total.density": ["TotalDensity", "total_dislocation_density"],
        "gnd": ["GndDensity", "fit_slip_systems", "gnd_density", "nye_tensor"],
        "noise": ["orientation_noise"],
        "taylor_texture": ["TaylorFactor", "taylor_factor"],
        "gnd_average": ["GndAverage"],
        "predict": ["predict_planes"],
        "taylor": ["stress_increment", "taylor_stress"],
        "slip_systems": ["SlipFamily", "SlipSystems", "for_lattice", "for_phase", "from_families"],
    },
)
