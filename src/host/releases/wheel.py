"""Prints the schema numbers of the Synapse in a wheel. No code of the wheel is run: it was not confirmed yet."""
import ast
import json
import sys
import zipfile

PLACE = "synapse/storage/schema/__init__.py"
NAMES = {"SCHEMA_VERSION": "version", "SCHEMA_COMPAT_VERSION": "compat"}


def numbers(text):
    found = {}
    for statement in ast.parse(text).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and target.id in NAMES:
                found[NAMES[target.id]] = ast.literal_eval(statement.value)
    return found


release, path = sys.argv[1:]
with zipfile.ZipFile(path) as wheel:
    print(json.dumps({"release": release, **numbers(wheel.read(PLACE))}))
