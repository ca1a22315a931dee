"""What the generator of requests can't read in the description by itself."""

import schemathesis


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Spells the letters and digits of any script as Python does, and leaves opaque cursors out: only a list can give one."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            parameters = operation.get("parameters", [])
            operation["parameters"] = [one for one in parameters if one["name"] != "cursor"]
    spell(raw_schema)


def spell(value):
    if isinstance(value, dict):
        for name, inside in value.items():
            if name == "pattern" and isinstance(inside, str):
                value[name] = inside.replace(r"\p{Alphabetic}\p{N}_", r"\w")
            else:
                spell(inside)
    elif isinstance(value, list):
        for inside in value:
            spell(inside)
