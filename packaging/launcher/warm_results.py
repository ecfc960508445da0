"""Results that each process would compute again while it reads its options, which is half of the work of its start.

These are the code of Synapse's templates, and which schemas are valid themselves. The pilot computes them and reports them to
the fork server, so that later processes find them. A process that needs another result computes it as it would otherwise.
"""
import base64
import gc
import marshal
from types import SimpleNamespace

import jinja2
import jsonschema


class Templates(jinja2.BytecodeCache):
    """The code of templates, by their path and content."""

    def __init__(self):
        self.code = {}

    def load_bytecode(self, bucket):
        bucket.code = self.code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket):
        self.code[bucket.key, bucket.checksum] = bucket.code


class Results:
    """The results of this process, which are also those of the processes that are forked from it."""

    def __init__(self):
        self.templates = Templates()
        # Synapse's schemas are constants of its modules, so they have the same addresses in forked processes.
        self.schemas = {}
        # Only the pilot records schemas: a process may check any number of other ones.
        self.recording = False

    def install(self):
        """From now on, Synapse looks here before it computes such a result."""
        import synapse.config._base as options

        templates = self.templates

        class Environment(jinja2.Environment):
            def __init__(self, *arguments, **named):
                super().__init__(*arguments, bytecode_cache=templates, **named)

        # All environments that this module makes have the same options, on which the code depends as well.
        options.jinja2 = SimpleNamespace(**{**vars(jinja2), "Environment": Environment})
        validator = jsonschema.validators.validator_for({})
        check = validator.check_schema

        def check_schema(schema, *arguments, **named):
            if arguments or named or id(schema) not in self.schemas:
                check(schema, *arguments, **named)
                if self.recording:
                    self.schemas[id(schema)] = schema

        validator.check_schema = staticmethod(check_schema)

    def report(self):
        """The results, for `add` in the process that this one was forked from."""
        code = [(*key, base64.b64encode(marshal.dumps(code)).decode()) for key, code in self.templates.code.items()]
        return {"templates": code, "schemas": [*self.schemas]}

    def add(self, report):
        for *key, code in report["templates"]:
            self.templates.code[tuple(key)] = marshal.loads(base64.b64decode(code))
        reported = set(report["schemas"])
        self.schemas.update((id(one), one) for one in gc.get_objects() if type(one) is dict and id(one) in reported)
