"""The works that a report may have to cite, and a list of those that it does."""

from __future__ import annotations

from html import escape

_SOURCES: dict[str, tuple[str, str]] = {
    "mle": (
        "Smith, C. S. et al. Fast, single-molecule localization that achieves theoretically minimum"
        " uncertainty. Nat. Methods 7, 373 (2010)",
        "10.1038/nmeth.1449",
    ),
    "bound": (
        "Mortensen, K. I. et al. Optimized localization analysis for single-molecule tracking and "
        "super-resolution microscopy. Nat. Methods 7, 377 (2010)",
        "10.1038/nmeth.1447",
    ),
    "scmos": (
        "Huang, F. et al. Video-rate nanoscopy using sCMOS camera-specific single-molecule "
        "localization algorithms. Nat. Methods 10, 653 (2013)",
        "10.1038/nmeth.2488",
    ),
    "astigmatism": (
        "Huang, B. et al. Three-dimensional super-resolution imaging by stochastic optical "
        "reconstruction microscopy. Science 319, 810 (2008)",
        "10.1126/science.1153529",
    ),
    "splines": (
        "Babcock, H. P. & Zhuang, X. Analyzing single molecule localization microscopy data using "
        "cubic splines. Sci. Rep. 7, 552 (2017)",
        "10.1038/s41598-017-00622-w",
    ),
    "groups": (
        "Huang, F. et al. Simultaneous multiple-emitter fitting for single molecule "
        "super-resolution imaging. Biomed. Opt. Express 2, 1377 (2011)",
        "10.1364/BOE.2.001377",
    ),
    "frc": (
        "Nieuwenhuizen, R. P. J. et al. Measuring image resolution in optical nanoscopy. "
        "Nat. Methods 10, 557 (2013)",
        "10.1038/nmeth.2448",
    ),
    "nena": (
        "Endesfelder, U. et al. A simple method to estimate the average localization precision of "
        "a single-molecule localization microscopy experiment. Histochem. Cell Biol. 141, 629 "
        "(2014)",
        "10.1007/s00418-014-1192-3",
    ),
    "decorrelation": (
        "Descloux, A., Grussmayer, K. S. & Radenovic, A. Parameter-free image resolution estimation"
        " based on decorrelation analysis. Nat. Methods 16, 918 (2019)",
        "10.1038/s41592-019-0515-7",
    ),
    "aim": (
        "Ma, H., Chen, M., Nguyen, P. & Liu, Y. Toward drift-free high-throughput nanoscopy "
        "through adaptive intersection maximization. Sci. Adv. 10, eadm7765 (2024)",
        "10.1126/sciadv.adm7765",
    ),
    "rcc": (
        "Wang, Y. et al. Localization events-based sample drift correction for localization "
        "microscopy with redundant cross-correlation algorithm. Opt. Express 22, 15982 (2014)",
        "10.1364/OE.22.015982",
    ),
    "comet": ("COMET: drift of localizations by maximizing their overlap (comet-smlm)", ""),
    "micromanager": (
        "Edelstein, A. D. et al. Advanced methods of microscope control using µManager software. "
        "J. Biol. Methods 1, e10 (2014)",
        "10.14440/jbm.2014.36",
    ),
    "omezarr": (
        "Moore, J. et al. OME-NGFF: a next-generation file format for expanding bioimaging "
        "data-access strategies. Nat. Methods 18, 1496 (2021)",
        "10.1038/s41592-021-01326-w",
    ),
    "decode": (
        "Speiser, A. et al. Deep learning enables fast and dense single-molecule localization with "
        "high accuracy. Nat. Methods 18, 1082 (2021)",
        "10.1038/s41592-021-01236-x",
    ),
    "deeploco": ("Boyd, N. et al. DeepLoco. bioRxiv 267096 (2018)", "10.1101/267096"),
    "deepstorm": (
        "Nehme, E. et al. Deep-STORM: super-resolution single-molecule microscopy by deep "
        "learning. Optica 5, 458 (2018)",
        "10.1364/OPTICA.5.000458",
    ),
    "deepstorm3d": (
        "Nehme, E. et al. DeepSTORM3D: dense 3D localization microscopy and PSF design by deep "
        "learning. Nat. Methods 17, 734 (2020)",
        "10.1038/s41592-020-0853-5",
    ),
    "annapalm": (
        "Ouyang, W. et al. Deep learning massively accelerates super-resolution localization "
        "microscopy. Nat. Biotechnol. 36, 460 (2018)",
        "10.1038/nbt.4106",
    ),
    "smnet": (
        "Zhang, P. et al. Analyzing complex single-molecule emission patterns with deep learning. "
        "Nat. Methods 15, 913 (2018)",
        "10.1038/s41592-018-0153-5",
    ),
    "zelger": ("Zelger, P. et al. Opt. Express 26, 33166 (2018)", "10.1364/OE.26.033166"),
    "zhang": ("Zhang, Z. et al. Opt. Lett. 44, 5864 (2019)", "10.1364/OL.44.005864"),
    "hershko": ("Hershko, E. et al. Opt. Express 27, 6158 (2019)", "10.1364/OE.27.006158"),
    "kim": ("Kim, T., Moon, S. & Xu, K. Nat. Commun. 10, 1996 (2019)", ""),
    "gaire": ("Gaire, S. K. et al. Biomed. Opt. Express 11, 2705 (2020)", ""),
    "bgnet": (
        "Möckl, L., Roy, A. R., Petrov, P. N. & Moerner, W. E. Accurate and rapid background "
        "estimation in single-molecule localization microscopy using the deep neural network BGnet."
        " Proc. Natl Acad. Sci. USA 117, 60 (2020)",
        "10.1073/pnas.1916219117",
    ),
}
"""By short name: the work, and its DOI where it is known for certain."""

_SAME_WORK = {
    "hershko-boxes": "hershko",
    "deepstorm3d-mask": "deepstorm3d",
    "pixel-maps": "deepstorm3d",
}


class Citations:
    """Numbers works in the order in which they are cited."""

    def __init__(self, version: str) -> None:
        self._cited: list[str] = []
        self._own = (
            f"The rtsmlm developers. {f'rtsmlm {version}'.strip()}: real-time single-molecule "
            "localization microscopy. Software"
        )

    def own(self) -> str:
        """Return the mark of this program."""
        return self._mark("rtsmlm")

    def cite(self, *names: str) -> str:
        """Return the marks of works, as [1, 2]; nothing for names that stand for none."""
        known = [_SAME_WORK.get(name, name) for name in names]
        numbers = [self._number(name) for name in known if name in _SOURCES]
        return f" [{', '.join(map(str, numbers))}]" if numbers else ""

    def _mark(self, name: str) -> str:
        return f" [{self._number(name)}]"

    def _number(self, name: str) -> int:
        if name not in self._cited:
            self._cited.append(name)
        return self._cited.index(name) + 1

    def as_list(self) -> str:
        """Return the works in their order, as HTML."""
        items = []
        for name in self._cited:
            text, doi = (self._own, "") if name == "rtsmlm" else _SOURCES[name]
            link = f". <a href='https://doi.org/{doi}'>doi:{doi}</a>" if doi else "."
            items.append(f"<li>{escape(text)}{link}</li>")
        return f"<ol class='sources'>{''.join(items)}</ol>"
