"""What the phases say, and how they fail."""

GENERIC, DOWNLOAD, DETECT, BUILD, EXPORT, _LAUNCH, RESTORE = range(231, 238)


class Failure(Exception):
    """Ends staging with an exit code; the text is one line for the user."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def say(text):
    print(text, flush=True)


def one_line(error):
    """An exception's text without line breaks."""
    return " ".join(str(error).split())
