"""fastnorm as threadpoolctl sees it: `threadpool_info()` lists it, `threadpool_limits(n)` limits it."""

from pathlib import Path

from threadpoolctl import LibController, register

from fastnorm import _core
from fastnorm._version import version


class FastnormController(LibController):
    user_api = internal_api = "fastnorm"
    filename_prefixes = (Path(_core.__file__).name.lower(),)

    def get_version(self) -> str:
        if not Path(self.filepath).samefile(_core.__file__):
            raise OSError("the module of another package, of the same name")  # threadpoolctl goes on
        return version

    def get_num_threads(self) -> int:
        return _core.get_num_threads()

    def set_num_threads(self, num_threads: int) -> None:
        _core.limit_num_threads(num_threads)


register(FastnormController)
