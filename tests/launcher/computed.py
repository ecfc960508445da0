"""Results of one process are those of another one: templates and schemas behave as if each process computed everything."""

import json
import sys
import types
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import jinja2
import jsonschema
from launched import LAUNCHER

sys.path.append(str(LAUNCHER))
import warm_results  # noqa: E402

# The module of Synapse that reads templates.
OPTIONS = "synapse.config._base"
VALID = {"type": "object", "properties": {"a": {"type": "number"}}}
EQUAL = {"type": "object", "properties": {"a": {"type": "number"}}}
INVALID = {"type": "nothing known"}
VALIDATOR = jsonschema.validators.validator_for({})


class Computed(unittest.TestCase):
    def setUp(self):
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.options = types.ModuleType(OPTIONS)
        self.options.jinja2 = jinja2
        modules = {name: types.ModuleType(name) for name in ("synapse", "synapse.config")} | {OPTIONS: self.options}
        modules["synapse"].config, modules["synapse.config"]._base = modules["synapse.config"], self.options
        # The class keeps no trace of this test.
        self.check_schema = VALIDATOR.__dict__["check_schema"]
        for replaced in (patch.dict(sys.modules, modules), patch.object(VALIDATOR, "check_schema", self.check_schema)):
            replaced.start()
            self.addCleanup(replaced.stop)

    def rendered(self, content):
        """A template with this content, read and rendered as Synapse does it, and whether it was compiled."""
        self.directory.joinpath("page.html").write_text(content)
        with patch.object(jinja2.Environment, "compile", autospec=True, side_effect=jinja2.Environment.compile) as compiled:
            loader = self.options.jinja2.FileSystemLoader([str(self.directory)])
            environment = self.options.jinja2.Environment(loader=loader, autoescape=self.options.jinja2.select_autoescape())
            return environment.get_template("page.html").render(name="<a>"), compiled.called

    def other(self, results):
        """The results of another process, which got those of this one."""
        other = warm_results.Results()
        other.add(json.loads(json.dumps(results.report())))
        other.install()
        return other

    def test_a_template_is_compiled_once_for_its_content(self):
        first = warm_results.Results()
        first.install()
        self.assertEqual(self.rendered("Hello {{ name }}"), ("Hello &lt;a&gt;", True))
        self.other(first)
        self.assertEqual(self.rendered("Hello {{ name }}"), ("Hello &lt;a&gt;", False))
        self.assertEqual(self.rendered("Good bye {{ name }}"), ("Good bye &lt;a&gt;", True))
        self.assertIs(jinja2.Environment().bytecode_cache, None, "other programs' environments are their own")

    def checks(self, value, schema):
        """Whether a validation checks the schema against that of all schemas."""
        visits = []
        iterate = VALIDATOR.iter_errors

        def iter_errors(validator, instance):
            if instance is schema:
                visits.append(validator)
            return iterate(validator, instance)

        with patch.object(VALIDATOR, "iter_errors", iter_errors):
            jsonschema.validate(value, schema)
        return bool(visits)

    def test_a_schema_is_checked_once_and_values_each_time(self):
        first = warm_results.Results()
        first.install()
        self.assertTrue(self.checks({"a": 1}, VALID))
        self.assertEqual(first.report()["schemas"], [], "only the pilot records them")
        first.recording = True
        self.assertTrue(self.checks({"a": 1}, VALID))
        VALIDATOR.check_schema = self.check_schema
        self.other(first)
        self.assertFalse(self.checks({"a": 1}, VALID))
        self.assertTrue(self.checks({"a": 1}, EQUAL), "another object")
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate({"a": "b"}, VALID)
        with self.assertRaises(jsonschema.SchemaError):
            jsonschema.validate({}, INVALID)
