"""Requests over gRPC of which some are cancelled. Runs in Triton's environment.

    cancelled.py PORT MODEL FILE COUNT KEPT

Sends COUNT requests with the samples of FILE at once, and cancels all but the first KEPT of them.
Prints the texts of those.
"""

import sys
from concurrent.futures import Future

import numpy as np
import tritonclient.grpc as triton


def main(port: str, model: str, file: str, count: int, kept: int) -> None:
    samples = np.load(file).reshape(1, -1)
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    audio = triton.InferInput("AUDIO", list(samples.shape), "FP32")
    audio.set_data_from_numpy(samples)
    answers: list[Future[str]] = [Future() for _ in range(count)]
    calls = [
        client.async_infer(
            model,
            [audio],
            lambda result, error, answer=answer: answer.set_result(
                "" if error else result.as_numpy("TEXT").item().decode()
            ),
        )
        for answer in answers
    ]
    for call in calls[kept:]:
        call.cancel()
    for answer in answers[:kept]:
        print(answer.result(120))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
