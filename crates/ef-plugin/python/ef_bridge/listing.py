"""What there is to serve, without importing any of it: entry points by distribution, and the files that make up a plugin."""

import importlib.machinery
import importlib.metadata
import importlib.util
import os
import re
import sys

GROUPS = {"eval_fabric.evaluators": "evaluators", "eval_fabric.judges": "judges"}
# Written by installers, other from one installation to the next.
BOOKKEEPING = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


def listing(options):
    """The files of the modules that the references name, or without references all distributions with entry points."""
    asked = options.get("references", [])
    return {
        "executable": sys.executable,
        "version": ".".join(map(str, sys.version_info[:3])),
        "folders": folders(),
        "distributions": [] if asked else distributions(),
        "references": [reference(text) for text in asked],
    }


def folders():
    """Where this interpreter reads code from: what a sandbox has to let it read."""
    places = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path]
    return sorted({os.path.abspath(place) for place in places if place and os.path.exists(place)})


def distributions():
    """The distributions with entry points for ef, by name. The first of a name on the path is the one that is imported."""
    found = {}
    for distribution in importlib.metadata.distributions():
        try:
            points = [point for point in distribution.entry_points if point.group in GROUPS]
            entry = points and described(distribution, points)
        except Exception:  # somebody's broken installation, which may have nothing to do with ef
            continue
        key = entry and re.sub(r"[-_.]+", "-", entry["name"]).lower()
        # What the package `eval-fabric` itself provides is built into ef.
        if key and key != "eval-fabric":
            found.setdefault(key, entry)
    return [found[key] for key in sorted(found)]


def described(distribution, points):
    """One distribution with its entry points, as `module:object`, and its files."""
    entry = {"name": distribution.metadata["Name"], "version": distribution.version, "evaluators": {}, "judges": {}}
    for point in points:
        entry[GROUPS[point.group]][point.name] = re.sub(r"\[.*\]$", "", "".join(point.value.split()))
    entry["files"] = distribution_files(distribution, points)
    return entry


def distribution_files(distribution, points):
    """Its files as [name, path]: what was installed, and where that does not include the code (an editable installation),
    the code's own."""
    files = {}
    for file in distribution.files or []:
        if file.suffix in (".pyc", ".pyo") or file.name in BOOKKEEPING and file.parent.name.endswith(".dist-info"):
            continue
        # A launcher made by an installer names the interpreter's folder; a plugin is the same wherever it is installed.
        if file.parts[0] != ".." or file.parent.name not in ("bin", "Scripts"):
            path = os.path.realpath(distribution.locate_file(file))
            if os.path.exists(path):  # newer versions of Python leave out what is not there, older ones do not
                files[file.as_posix()] = path
    present = set(files.values())
    for name in sorted({point.value.partition(":")[0].partition(".")[0].strip() for point in points}):
        for relative, path in module_files(name):
            if path not in present:
                files["module:" + relative] = path
    return sorted([name, path] for name, path in files.items())


def reference(text):
    """The files of the module that `module:object` names: of its outermost package, or the module's one."""
    module = text.partition(":")[0].strip()
    return {"reference": text, "files": sorted(module_files(module.partition(".")[0])), "is_found": is_found(module)}


def found(top):
    """The spec of a top-level module. Looking for it imports nothing, and asks the finders of editable installations too."""
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def is_found(module):
    """Whether there is a module of that name, as far as can be told without importing its package."""
    top, _, rest = module.partition(".")
    spec = found(top)
    if spec is None or not rest:
        return spec is not None
    parts = rest.split(".")
    folders = spec.submodule_search_locations or []
    places = [os.path.join(folder, *parts) for folder in folders]
    return any(os.path.isdir(place) or any(os.path.isfile(place + end) for end in importlib.machinery.all_suffixes()) for place in places)


def module_files(top):
    """The files of a top-level module or package as [name, path]."""
    spec = found(top)
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        is_file = spec.origin is not None and os.path.isfile(spec.origin)
        return [[os.path.basename(spec.origin), os.path.realpath(spec.origin)]] if is_file else []
    files = []
    for folder in spec.submodule_search_locations:
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
            for name in names:
                path = os.path.join(place, name)
                if not name.endswith((".pyc", ".pyo")) and os.path.isfile(path):
                    files.append([os.path.join(top, os.path.relpath(path, folder)).replace(os.sep, "/"), os.path.realpath(path)])
    return files
