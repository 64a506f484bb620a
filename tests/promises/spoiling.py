"""Changes what a started program imports, to see that the checks notice.

A small module on the program's `PYTHONPATH` runs a piece of code at the end of a
module's import. No source text is touched; a piece that names what is no longer there
keeps the program from starting, so a control cannot pass by accident.
"""

import json
import os

from tests.product.program import Program

#: Python loads this before anything of the program.
_SITE = """
import json, pathlib, sys
from importlib.machinery import PathFinder

PIECES = json.loads(pathlib.Path(__file__).with_name("pieces.json").read_text())


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in PIECES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            exec(compile(PIECES[name], "<spoilt " + name + ">", "exec"), vars(module))

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder)
"""


def spoil(program: Program, pieces: dict[str, str]) -> None:
    """Let an installation run spoilt; a second call adds to the first.

    Args:
        program: Not started.
        pieces: By module name: what runs in the module's own names once it is loaded.
    """
    folder = program.folder / "spoilt"
    path = folder / "pieces.json"
    if not folder.exists():
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
        before = program.env.get("PYTHONPATH")
        paths = [str(folder), *([before] if before else [])]
        program.env["PYTHONPATH"] = os.pathsep.join(paths)
        path.write_text("{}", encoding="utf-8")
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(known | pieces), encoding="utf-8")
