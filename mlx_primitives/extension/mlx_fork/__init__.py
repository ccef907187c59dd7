"""The fused primitives of mlx-fork as an extension of an installed MLX.

``import mlx_fork`` adds them to ``mlx.core`` where it lacks them; they are functions of
this module too. A graph that has one of them can be compiled and differentiated, but not
exported: the table by which MLX exports primitives is internal to its library.
"""

import mlx.core as mx

from . import _built

# Before the module is loaded: against another libmlx the loader would at best name a
# missing symbol, and at worst none.
if mx.__version__.split("+")[0] != _built.mlx_version.split("+")[0]:
    raise ImportError(
        f"mlx_fork was built for MLX {_built.mlx_version}, this is MLX "
        f"{mx.__version__}: build it again for this one, or install that one"
    )

from . import _ext
from ._ext import last_path

fork_id = _ext.fork_id

__all__ = ["fork_id", "last_path"]

for _name in dir(_ext.ops):
    if not _name.startswith("_"):
        _op = getattr(_ext.ops, _name)
        globals()[_name] = _op
        __all__.append(_name)
        if not hasattr(mx, _name):
            setattr(mx, _name, _op)
del _name, _op
