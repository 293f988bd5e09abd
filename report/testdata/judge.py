"""Judges a message with programs that are not ours: judge.py hl7|fhir < MESSAGE.

hl7: hl7apy checks the structure against its tables of HL7 v2.5.1, and python-hl7
takes the message apart. fhir: fhir.resources checks each resource of the bundle
against the models of R4B, whose resources used here are those of R4. What was
read goes to standard output as JSON; what is wrong to standard error, with 1.
"""

import json
import sys


def judge_hl7(text: str) -> object:
    import hl7
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    message.validate()
    parsed = hl7.parse(text)
    return [[str(segment[0])] + [parsed.unescape(str(field)) for field in segment[1:]] for segment in parsed]


def judge_fhir(text: str) -> object:
    from fhir.resources.R4B.bundle import Bundle

    bundle = Bundle.model_validate_json(text)
    names = [entry.resource.get_resource_type() for entry in bundle.entry]
    again = json.loads(bundle.model_dump_json())
    # A model that dropped an element it does not know would judge too little.
    if elements(again) != elements(json.loads(text)):
        raise ValueError("the bundle read and written again has other elements")
    return names


def elements(value: object, path: str = "") -> set:
    if isinstance(value, dict):
        return set().union({path}, *(elements(v, f"{path}.{k}") for k, v in value.items()))
    if isinstance(value, list):
        return set().union({path}, *(elements(v, f"{path}[{i}]") for i, v in enumerate(value)))
    return {path}


if __name__ == "__main__":
    judge = {"hl7": judge_hl7, "fhir": judge_fhir}[sys.argv[1]]
    try:
        json.dump(judge(sys.stdin.buffer.read().decode()), sys.stdout)
    except Exception as error:  # whatever the judge does not like
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
