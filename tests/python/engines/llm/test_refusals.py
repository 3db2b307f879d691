"""How providers refuse, as their users report it, and what each refusal is about."""

import pytest

from cellferry.engines.llm.refusals import kind_of, refused_setting, words_of

SENT = {"temperature": 0, "max_tokens": 10, "reasoning": "low", "top_p": 1}


def error(message, **more):
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "body", "about"),
    [
        (400, error("Unsupported value: 'temperature' does not support 0 with this model. "
                    "Only the default (1) value is supported."), "parameter:temperature"),
        (400, error("Unsupported parameter: 'max_tokens' is not supported with this model. "
                    "Use 'max_completion_tokens' instead."), "parameter:max_tokens"),
        (422, {"detail": [{"loc": ["body", "max_completion_tokens"],
                           "msg": "Extra inputs are not permitted"}]}, "parameter:max_tokens"),
        (400, error("`temperature` and `top_p` cannot both be specified for this model."),
         "parameter:temperature"),
        (400, error("Unrecognized request argument supplied: reasoning_effort"),
         "parameter:reasoning"),
        (400, error("max_tokens is too large: 16000. At most 8192"), "parameter:max_tokens"),
        (400, {"message": '"auto" tool choice requires --enable-auto-tool-choice'}, "form"),
        (404, error("No endpoints found that support tool use.", code=404), "form"),
        (400, error("library/gemma does not support tools"), "form"),
        (500, error("tools param requires --jinja flag"), "form"),
        (400, error("response_format json_schema is not supported"), "form"),
        (400, error("Thinking mode does not support this tool_choice"), "form"),
        (400, error("Invalid schema for response_format 'answer': temperature"), "form"),
        (404, error("No endpoints found for x/y.", code=404), "model"),
        (404, error("The model `gpt-9` does not exist", code="model_not_found"), "model"),
        (400, error("The model `mixtral` has been decommissioned"), "model"),
        (404, {"error": "model 'qwen' not found"}, "model"), (410, error("gone"), "model"),
        (404, "404 page not found", "address"), (404, {"detail": "Not Found"}, "address"),
        (404, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "address"),
        (405, {"detail": "Method Not Allowed"}, "address"),
        (500, error("internal error 401"), "fault"), (400, error("only text here"), "unclear"),
        (400, error("This model's maximum context length is 8192 tokens. However, you requested "
                    "9000 tokens (6000 in the completion).", code="context_length_exceeded"),
         "too_long"),
        (400, error("API key not valid. Please pass a valid API key."), "key"),
        (403, error("forbidden"), "key"),
        (400, error("User location is not supported for the API use."), "region"),
        (403, error("Country, region, or territory not supported",
                    code="unsupported_country_region_territory"), "region"),
        (403, error("Your input was flagged", metadata={"reasons": ["violence"]}), "moderation"),
        (400, error("The prompt triggered the content management policy", code="content_filter"),
         "moderation"),
        (400, error("Your credit balance is too low to access the Anthropic API."), "credit"),
        (429, error("You exceeded your current quota", code="insufficient_quota"), "credit"),
        (429, error("Rate limit reached for requests"), "limit"),
        (529, error("Overloaded", type="overloaded_error"), "overloaded"),
        (408, None, "slow"), (502, None, "fault"), (503, None, "overloaded"),
    ],
)  # fmt: skip
def test_what_a_refusal_is_about(status, body, about):
    setting = refused_setting(status, body, SENT)
    found = f"parameter:{setting}" if setting else kind_of(status, body, own_address=True)
    assert found == about


def test_only_what_this_request_sent_can_have_been_refused():
    body = {"error": {"message": "temperature is not supported"}}
    assert refused_setting(400, body, {"temperature": 0}) == "temperature"
    assert refused_setting(400, body, {"top_p": 1}) is None
    assert refused_setting(429, body, {"temperature": 0}) is None


def test_the_provider_of_a_model_knows_no_other_address():
    assert kind_of(404, "404 page not found", own_address=False) == "model"


@pytest.mark.parametrize(
    ("body", "words"),
    [(error("no"), "no"), ({"error": "no such model"}, "no such model"),
     ([error("quota")], "quota"), ("<html><title>502</title>", "a web page, '502'"),
     (error("Provider failed", metadata={"raw": '{"error": {"message": "Overloaded"}}'}),
      "Provider failed (Overloaded)"), (None, ""), ({"odd": 1}, '{"odd": 1}'),
     ({"message": "sent Bearer abc.def"}, "sent Bearer <hidden>")],
)  # fmt: skip
def test_the_words_of_a_provider_reach_the_user(body, words):
    assert words_of(body) == words
