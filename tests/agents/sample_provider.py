"""A server on loopback that answers as OpenAI's Responses API and Anthropic's do, for LangChain's own classes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI

IMAGE = {"status": "completed", "result": "aGk=", "output_format": "png"}


class Provider:
    """What was asked, and models that ask here.

    They call the tool ``look`` with the last question, and then say what it said. Their libraries take seconds to
    import, which every process that collects this would do.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[Any] = []
        self._url = f"http://127.0.0.1:{port}"

    def openai(self, **settings: Any) -> ChatOpenAI:
        from langchain_openai import ChatOpenAI

        settings = {"use_responses_api": True, "max_retries": 0, **settings}
        return ChatOpenAI(model="gpt-5-mini", api_key="none", base_url=f"{self._url}/v1", **settings)

    def anthropic(self, **settings: Any) -> ChatAnthropic:
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(model="claude-x", api_key="none", base_url=self._url, max_retries=0, **settings)

    def answer(self, path: str, body: Any) -> Any:
        number = len(self.asked)
        self.asked.append(body)
        return _of_anthropic(body, number) if path.endswith("messages") else _of_openai(body, number)


def _of_openai(body: Any, number: int) -> Any:
    last = body["input"][-1]
    output: list[Any] = [{"id": f"rs_{number}", "type": "reasoning", "summary": []}]
    output += [{"id": f"ws_{number}", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}]
    output += [{"id": f"ig_{number}", "type": "image_generation_call", **IMAGE}]
    output += [{"id": f"ci_{number}", "type": "code_interpreter_call", "status": "completed", "code": "1"}]
    output += [{"id": f"mcpl_{number}", "type": "mcp_list_tools", "server_label": "s", "tools": []}]
    if last.get("type") == "function_call_output":
        said = {"type": "output_text", "text": f"It is {last['output']}.", "annotations": []}
        output += [{"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed"}]
        output[-1]["content"] = [said]
    else:
        call = {"call_id": f"call_{number}", "name": "look", "arguments": json.dumps({"q": last["content"]})}
        output += [{"id": f"fc_{number}", "type": "function_call", "status": "completed", **call}]
    used = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    fixed = {"object": "response", "created_at": number, "status": "completed", "error": None, "metadata": {}}
    more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": {**used, **details}}
    return {"id": f"resp_{number}", "model": body["model"], "output": output, **fixed, **more}


def _of_anthropic(body: Any, number: int) -> Any:
    last = body["messages"][-1]["content"]
    block = last[-1] if isinstance(last, list) else {"type": "text", "text": last}
    if block["type"] == "tool_result":
        content = [{"type": "text", "text": "It is known."}]
    else:
        content = [{"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": {"q": block["text"]}}]
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    stop = {"stop_reason": "tool_use" if block["type"] == "text" else "end_turn", "stop_sequence": None}
    fixed = {"type": "message", "role": "assistant", "model": body["model"], "usage": usage}
    return {"id": f"msg_{number}", "content": content, **stop, **fixed}


@contextmanager
def running() -> Iterator[Provider]:
    """Run a server for as long as the block goes on."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            data = json.dumps(provider.answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
