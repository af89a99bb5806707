"""Dislocations: lattice curvature, GND density per slip system, total density from a network."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["article", "gnd", "slip_systems", "taylor", "total"],
    submod_attrs={
        "gnd.curvature": ["lattice_curvature"],
        "article.density": ["ArticleDensity", "article_density"],
        "gnd.denoise": ["Denoise", "denoise_orientations"],
        "total.average": ["AverageDensity"],
        "total.tail": ["TailDensity", "tail_density"],
        "total.density": ["TotalDensity", "total_dislocation_density"],
        "gnd.density": ["GndDensity", "fit_slip_systems", "gnd_density", "nye_tensor"],
        "gnd.noise": ["orientation_noise"],
        "taylor_texture": ["TaylorFactor", "taylor_factor"],
        "gnd.average": ["GndAverage"],
        "article.predict": ["predict_planes"],
        "taylor": ["stress_increment", "taylor_stress"],
        "slip_systems": ["SlipFamily", "SlipSystems", "for_lattice", "for_phase", "from_families"],
    },
)
