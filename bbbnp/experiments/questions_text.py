def table(result):
    return ""


def comment(result):
    return ""
