"""What there is, told without importing it."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from tests.driver import command_line


def write(folder, files):
    for name, text in files.items():
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def listing(folder, *references):
    line = command_line("list", {"path": [str(folder)], "references": list(references)})
    return json.loads(subprocess.run(line, check=True, capture_output=True, cwd="/").stdout)


def names(files):
    return [name for name, _ in files]


BOOM = "raise SystemExit('imported')"
POINTS = "[eval_fabric.judges]\nacme.polite = acme.judges:Polite\nacme.kind=acme.judges : kind [extra]\n[console_scripts]\nx = y:z\n"


class Listing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_a_distribution_is_listed_with_its_files_and_not_imported(self):
        write(self.folder.name, {
            "acme/__init__.py": BOOM,
            "acme/judges.py": BOOM,
            "acme/__pycache__/judges.cpython-39.pyc": "",
            "acme_judges-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: Acme.Judges\nVersion: 1.2\n",
            "acme_judges-1.2.dist-info/entry_points.txt": POINTS,
            "acme_judges-1.2.dist-info/INSTALLER": "pip",
            "acme_judges-1.2.dist-info/RECORD": "acme/__init__.py,,\nacme/judges.py,,\nacme/__pycache__/judges.cpython-39.pyc,,\n"
            "acme_judges-1.2.dist-info/METADATA,,\nacme_judges-1.2.dist-info/INSTALLER,,\nacme_judges-1.2.dist-info/RECORD,,\n"
            "../bin/acme,,\nwords/acme.txt,,\nwords/gone.txt,,\n",
            "words/acme.txt": "",
        })
        (found,) = [entry for entry in listing(self.folder.name)["distributions"] if entry["name"] == "Acme.Judges"]
        self.assertEqual((found["version"], found["evaluators"]), ("1.2", {}))
        self.assertEqual(found["judges"], {"acme.polite": "acme.judges:Polite", "acme.kind": "acme.judges:kind"})
        self.assertEqual(
            names(found["files"]),
            ["acme/__init__.py", "acme/judges.py", "acme_judges-1.2.dist-info/METADATA", "words/acme.txt"],
        )

    def test_an_editable_installation_is_listed_with_the_code_where_it_is(self):
        write(self.folder.name, {
            "acme/__init__.py": BOOM,
            "acme_judges-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme-judges\nVersion: 1.2\n",
            "acme_judges-1.2.dist-info/entry_points.txt": POINTS,
            "acme_judges-1.2.dist-info/RECORD": "acme_judges-1.2.dist-info/METADATA,,\n",
        })
        (found,) = [entry for entry in listing(self.folder.name)["distributions"] if entry["name"] == "acme-judges"]
        self.assertEqual(names(found["files"]), ["acme_judges-1.2.dist-info/METADATA", "module:acme/__init__.py"])

    def test_the_finder_of_an_editable_installation_is_asked(self):
        write(self.folder.name, {
            "elsewhere/acme.py": BOOM,
            "site/sitecustomize.py": """
                import importlib.util, sys
                class Finder:
                    @staticmethod
                    def find_spec(name, path=None, target=None):
                        return importlib.util.spec_from_file_location(name, PLACE) if name == "acme" else None
                sys.meta_path.append(Finder)
            """.replace("                ", "").replace("PLACE", repr(self.folder.name + "/elsewhere/acme.py")),
            "site/acme_judges-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme-judges\nVersion: 1.2\n",
            "site/acme_judges-1.2.dist-info/entry_points.txt": POINTS,
            "site/acme_judges-1.2.dist-info/RECORD": "acme_judges-1.2.dist-info/METADATA,,\n",
        })
        site = self.folder.name + "/site"
        environment = dict(os.environ, PYTHONPATH=site)
        output = subprocess.run(command_line("list", {}), check=True, capture_output=True, cwd="/", env=environment).stdout
        (found,) = [entry for entry in json.loads(output)["distributions"] if entry["name"] == "acme-judges"]
        self.assertEqual(names(found["files"]), ["acme_judges-1.2.dist-info/METADATA", "module:acme.py"])

    def test_what_is_built_in_is_not_listed_again(self):
        write(self.folder.name, {
            "eval_fabric-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: eval_fabric\nVersion: 0.1.0\n",
            "eval_fabric-0.1.0.dist-info/entry_points.txt": POINTS,
        })
        self.assertNotIn("eval_fabric", [entry["name"] for entry in listing(self.folder.name)["distributions"]])

    def test_a_module_is_found_in_the_project_and_listed_with_its_package(self):
        write(self.folder.name, {"one.py": BOOM, "many/__init__.py": BOOM, "many/deep/judges.py": BOOM, "many/words.txt": ""})
        found = listing(self.folder.name, "one:x", "many.deep.judges:y", "many.gone:z", "gone:x")["references"]
        self.assertEqual([entry["is_found"] for entry in found], [True, True, False, False])
        self.assertEqual(names(found[0]["files"]), ["one.py"])
        self.assertEqual(names(found[1]["files"]), ["many/__init__.py", "many/deep/judges.py", "many/words.txt"])


if __name__ == "__main__":
    unittest.main()
