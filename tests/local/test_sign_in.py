"""The local stack's API and sign-in after `make up`."""

import json

from local.ministack.cloudfront import DISTRIBUTIONS
from tests.support.api_caller import Caller
from tests.support.local_stack import LocalStack
from tests.support.visitor import Visitor, http


def test_user_signs_in_and_out_through_page(aws: LocalStack) -> None:
    visitor = Visitor(aws.outputs)
    assert visitor.code("wrong") is None
    code = visitor.code(aws.outputs["password"])
    assert code
    assert visitor.token(code, verifier="another" * 8)[0] == 400

    status, tokens = visitor.token(code)

    assert (status, tokens["expires_in"]) == (200, 3600)
    # The id token is for the right pool and client, but has no scope.
    names = ("access_token", "id_token")
    api = {name: Caller(aws, tokens[name])("GET", "/folders").status for name in names}
    assert api == {"access_token": 200, "id_token": 403}

    status, headers, _ = visitor.sign_out(aws.outputs["api_url"])

    assert (status, headers["Location"]) == (302, aws.outputs["api_url"])


def test_sign_in_redirects_nowhere_else(aws: LocalStack) -> None:
    visitor, elsewhere = Visitor(aws.outputs), "https://elsewhere.example/"

    assert visitor.authorize(redirect_uri=elsewhere)[0] == 400
    assert visitor.authorize(response_type="token")[0] == 400
    assert visitor.sign_out(elsewhere)[0] == 400


def test_functions_know_page_and_sign_in_addresses(aws: LocalStack) -> None:
    url = aws.outputs["api_url"]
    assert url.startswith(f"{aws.outputs['endpoint']}{DISTRIBUTIONS}")
    assert url.endswith("/")
    functions = aws.client("lambda").list_functions()["Functions"]
    handler = "functions.api.handler.handler"
    (api,) = (function for function in functions if function["Handler"] == handler)
    assert api["Environment"]["Variables"]["EASEL_PAGE_URL"] == url

    config = json.loads(http(f"{url}config.json")[2])

    assert config["sign_in_origin"] == aws.outputs["endpoint"]
