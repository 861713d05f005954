"""Starts the bridge: `python -c BOOT NAME SOURCE NAME SOURCE ... -- COMMAND OPTIONS`.

The modules come as arguments, so nothing is written to disk, nothing depends on the working folder, and nobody can change
them between two starts. A name that ends in `/` is a package.
"""

import sys

if sys.version_info < (3, 9):
    sys.exit("ef needs Python 3.9 or later for Python plugins; %s is %s" % (sys.executable, sys.version.split()[0]))

import importlib.abc
import importlib.util


class Embedded(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Modules whose sources are at hand; tracebacks show their lines."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, fullname, path=None, target=None):
        if fullname in self.sources or fullname + "/" in self.sources:
            return importlib.util.spec_from_loader(fullname, self, is_package=self.is_package(fullname))
        return None

    def is_package(self, fullname):
        return fullname + "/" in self.sources

    def get_source(self, fullname):
        return self.sources[fullname + "/" if self.is_package(fullname) else fullname]

    def get_code(self, fullname):
        return compile(self.get_source(fullname), "<ef>/" + fullname.replace(".", "/") + ".py", "exec", dont_inherit=True)


end = sys.argv.index("--")
sources = dict(zip(sys.argv[1:end:2], sys.argv[2:end:2]))
bridge = {name: source for name, source in sources.items() if name.partition(".")[0].rstrip("/") == "ef_bridge"}
stand_in = {name: source for name, source in sources.items() if name not in bridge}
sys.argv[1:] = sys.argv[end + 1 :]
if sys.path and sys.path[0] == "":  # `-c` puts the working folder there, whatever it is
    del sys.path[0]
sys.meta_path.insert(0, Embedded(bridge))
sys.meta_path.append(Embedded(stand_in))  # last: an installed package goes first

from ef_bridge.main import main

main(sys.argv[1:])
