"""12-lead ECGs: read, measure, classify, write.

The names are in `__init__.pyi`, and each is imported when it is first used.
"""

import lazy_loader

__version__ = "0.13.1"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
