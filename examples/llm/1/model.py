"""Answers texts and conversations with a causal language model of the Llama kind: at once, or piece by piece."""

import threading
from pathlib import Path
from queue import SimpleQueue

import torch
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2, status_pb2
from params import read_params
from reply import Reply
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria
from transformers.generation.streamers import BaseStreamer

CHECKPOINTS = Path(__file__).parent / "checkpoints"
MAX_BATCH = 16  # inputs that are answered at once


class LanguageModel(ModelRunner):
    """Inputs are answered in batches. `predict` and `generate` look at the same loop in two ways."""

    def load_model(self):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32  # few CPUs are fast at half precision
        # Padding goes to the left: each prompt ends where its answer begins.
        self.tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS, padding_side="left")
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        self.model = AutoModelForCausalLM.from_pretrained(CHECKPOINTS, dtype=dtype).to(self.device).eval()
        ends = self.model.generation_config.eos_token_id
        self.ends = ends if isinstance(ends, list) else [ends]

    def predict(self, request):
        """The whole answer to each input, and how many tokens were read and written."""
        params = read_params(request)
        replies = [self.start_reply(one.data.text.raw, params) for one in request.inputs]
        for _ in self.write(replies, params):
            pass
        outputs = [make_output(reply, reply.text) for reply in replies]
        for output, reply in zip(outputs, replies, strict=True):
            output.prompt_tokens, output.completion_tokens = len(reply.prompt), reply.token_count
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The answers as they are written: each response has the next piece for each input, or "" for none."""
        params = read_params(request)
        replies = [self.start_reply(one.data.text.raw, params) for one in request.inputs]
        for pieces in self.write(replies, params):
            outputs = [make_output(reply, piece) for reply, piece in zip(replies, pieces, strict=True)]
            yield service_pb2.MultiOutputResponse(outputs=outputs)

    def stream(self, request_iterator):
        """The answer to each request, before the next request has come."""
        for request in request_iterator:
            yield from self.generate(request)

    def start_reply(self, text, params):
        """An empty reply to a text: the user's next message, where the model knows conversations."""
        messages = params["messages"] + ([{"role": "user", "content": text}] if text else [])
        if not messages:
            return Reply(error="the input has no text")
        if self.tokenizer.chat_template:
            prompt = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        elif params["messages"]:
            raise ValueError("this model has no chat template: it takes texts, but no messages")
        else:
            prompt = self.tokenizer(text).input_ids
        longest = self.model.config.max_position_embeddings - 1
        if len(prompt) > longest:
            return Reply(error=f"the input has {len(prompt)} tokens; this model reads {longest} at most")
        return Reply(prompt, self.tokenizer, self.ends, params["stop"])

    def write(self, replies, params):
        """Yield the next piece of every reply, until all have ended. Closing it stops the network."""
        writing = [reply for reply in replies if not reply.error]
        if len(writing) < len(replies):
            yield [""] * len(replies)  # the failures, at once
        for start in range(0, len(writing), MAX_BATCH):
            for _ in self.write_batch(writing[start : start + MAX_BATCH], params):
                pieces = [reply.pop() for reply in replies]
                if any(pieces):
                    yield pieces
        if writing:
            yield [reply.pop() for reply in replies]

    def write_batch(self, replies, params):
        """Give the replies their next tokens, and yield after each step."""
        steps = Steps(replies)
        thread = threading.Thread(target=self.run, args=(replies, params, steps), daemon=True)
        thread.start()
        try:
            while isinstance(tokens := steps.queue.get(), list):
                for reply, token in zip(replies, tokens, strict=True):
                    reply.take(token)
                yield
            if isinstance(tokens, Exception):
                raise tokens
            for reply in replies:
                reply.finish()
        finally:
            steps.is_stopped = True
            thread.join()

    def run(self, replies, params, steps):
        """Generate, in a thread of its own. Its tokens go to `steps`, then None, or the error that ended it."""
        try:
            prompts = {"input_ids": [reply.prompt for reply in replies]}
            inputs = self.tokenizer.pad(prompts, return_tensors="pt").to(self.device)
            room = self.model.config.max_position_embeddings - inputs.input_ids.shape[1]
            if params["seed"] is not None:
                torch.manual_seed(params["seed"])
            with torch.inference_mode():
                self.model.generate(
                    **inputs,
                    **choose_sampling(params),
                    max_new_tokens=min(params["max_tokens"], room),
                    pad_token_id=self.tokenizer.pad_token_id,
                    streamer=steps,
                    stopping_criteria=[steps],
                )
            steps.queue.put(None)
        except Exception as error:
            steps.queue.put(error)


class Steps(BaseStreamer, StoppingCriteria):
    """Between the thread that generates and the one that answers: tokens one way, the wish to stop the other."""

    def __init__(self, replies):
        self.queue = SimpleQueue()
        self.is_stopped = False
        self._replies = replies

    def put(self, tokens):
        if tokens.dim() == 1:  # one for each reply; before them come the prompts
            self.queue.put(tokens.tolist())

    def end(self):
        """Nothing to do: `run` says when it is over."""

    def __call__(self, input_ids, scores, **kwargs):
        """Which replies need no more tokens."""
        return torch.tensor([self.is_stopped or reply.is_over for reply in self._replies], device=input_ids.device)


def choose_sampling(params):
    """How `generate` chooses a token: at temperature 0 always the likeliest."""
    if params["temperature"] == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": params["temperature"], "top_p": params["top_p"], "top_k": 0}


def make_output(reply, text):
    """A text as an output; of a reply that failed it says why."""
    code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT if reply.error else status_code_pb2.SUCCESS
    output = resources_pb2.Output(status=status_pb2.Status(code=code, description=reply.error or "Ok"))
    if not reply.error:
        output.data.text.raw = text
    return output
