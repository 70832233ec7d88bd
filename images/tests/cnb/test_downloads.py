"""What curl is told."""

import json
import unittest

import downloads
from report import Failure


class Downloads(unittest.TestCase):
    def test_credentials_go_to_their_host_only(self):
        given = {"a.test": {"username": "me", "password": 'p"w'}, "b.test:8443": {"token": "t"}}
        container = {downloads.CREDENTIALS: json.dumps(given)}
        for url, expected in [
            ("https://a.test/x.tgz", 'user = "me:p\\"w"'), ("https://a.test:443/x.tgz", 'user = "me:p\\"w"'),
            ("https://b.test:8443/x.tgz", 'header = "Authorization: Bearer t"'), ("https://b.test/x.tgz", None),
            ("https://a.test:8443/x.tgz", None),
        ]:
            with self.subTest(url):
                lines = downloads.options(url, container).splitlines()
                self.assertEqual(lines, [f'url = "{url}"', *([expected] if expected else [])])

    def test_urls_are_shown_without_credentials(self):
        self.assertEqual(downloads.redacted("https://me:pw@a.test/x"), "https://[redacted]@a.test/x")
        self.assertEqual(downloads.redacted("https://me:p@w@a.test/x?sig=s#f"), "https://[redacted]@a.test/x?[redacted]#f")

    def test_what_is_no_url_is_refused_without_its_password(self):
        for url in ("https://me:sec[ret@a.test/x", "https://me:sec@ret@a.test:port/x"):
            with self.subTest(url), self.assertRaises(Failure) as caught:
                downloads.options(url, {})
            self.assertRegex(str(caught.exception), r"^https://\[redacted\]@a.test(:port)?/x is not a URL$")


if __name__ == "__main__":
    unittest.main()
