"""The parameters of a request: what they are where they are not given, and what they may be."""

from google.protobuf.json_format import MessageToDict


def read_number(value, low, high=float("inf")):
    if not isinstance(value, float) or not low <= value <= high:
        raise ValueError
    return value


def read_whole(value, low=-(2**63), high=2**63 - 1):
    if not read_number(value, low, high).is_integer():  # numbers of a request come as floats
        raise ValueError
    return int(value)


def read_texts(value):
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError
    return texts


def read_messages(value):
    if not isinstance(value, list):
        raise ValueError
    for message in value:
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise ValueError
    return value


PARAMS = {  # name: what it is by itself, how it is read, what it may be
    "temperature": (0.7, lambda value: read_number(value, 0), "a number, 0 or more"),
    "top_p": (0.95, lambda value: read_number(value, 0.001, 1), "a number from 0.001 to 1"),
    "max_tokens": (512, lambda value: read_whole(value, 1), "a whole number, 1 or more"),
    "seed": (None, read_whole, "a whole number"),
    "stop": ([], read_texts, "a text or a list of texts"),
    "messages": ([], read_messages, 'a list of messages {"role": "...", "content": "..."}'),
}


def read_params(request):
    """All parameters of a request; raises ValueError that tells every wrong one."""
    params = {name: default for name, (default, _, _) in PARAMS.items()}
    problems = []
    for name, value in MessageToDict(request.model.model_version.output_info.params).items():
        if name not in PARAMS:
            problems.append(f"there is no parameter {name!r}, only {', '.join(PARAMS)}")
            continue
        _, read, rule = PARAMS[name]
        try:
            params[name] = read(value)
        except ValueError:
            problems.append(f"{name} is {value!r}; it must be {rule}")
    if problems:
        raise ValueError("; ".join(problems))
    return params
