"""Federated averaging of PEFT's LoRA with Flower over gRPC: its server, or one of its clients.

The server prints the seconds of each round and the clients' mean loss in it.
"""

import argparse
import json
import logging
import time

import torch
from batches import given, optimizer, portions
from flwr.client import NumPyClient
from flwr.common import ndarrays_to_parameters
from flwr.compat.client.app import start_client
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg
from torch.nn.functional import cross_entropy

logging.getLogger("flwr").setLevel(logging.ERROR)


class Client(NumPyClient):
    """Trains LoRA and the head for some updates on every ``clients``-th batch."""

    def __init__(self, one, number, clients, steps):
        self._one, self._number, self._clients, self._steps = one, number, clients, steps
        self._tuned = [each for each in one.model.parameters() if each.requires_grad]
        self._optimizer = optimizer(one, self._tuned)
        self._done = 0

    def get_parameters(self, config):
        """What is tuned."""
        return [each.detach().numpy().copy() for each in self._tuned]

    def fit(self, parameters, config):
        """A round."""
        with torch.no_grad():
            for each, value in zip(self._tuned, parameters, strict=True):
                each.copy_(torch.from_numpy(value))
        losses = [self._update() for _ in range(self._steps)]
        size = self._one.settings.batch_size * self._steps
        return self.get_parameters(config), size, {"loss": sum(losses) / len(losses)}

    def _update(self):
        size, total = self._one.settings.batch_size, 0.0
        for tokens, types, mask, labels in portions(
            self._one, self._done * self._clients + self._number
        ):
            logits = self._one.model(tokens, attention_mask=mask, token_type_ids=types).logits
            loss = cross_entropy(logits, labels, reduction="sum") / size
            loss.backward()
            total += loss.item()
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._done += 1
        return total


class Timed(FedAvg):
    """Averaging that notes when a round is over."""

    def __init__(self, **given):
        super().__init__(**given)
        self.ends, self.losses = [], []

    def configure_fit(self, server_round, parameters, client_manager):
        """A round begins."""
        if not self.ends:
            self.ends.append(time.perf_counter())
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(self, server_round, results, failures):
        """A round ends."""
        if failures:
            raise SystemExit(f"a client failed: {failures[0]}")
        found = super().aggregate_fit(server_round, results, failures)
        self.ends.append(time.perf_counter())
        losses = [result.metrics["loss"] for _, result in results]
        self.losses.append(sum(losses) / len(losses))
        return found


def serve(options):
    """Wait for all clients, average so many rounds, and say how long they took."""
    one = given(options.run)
    tuned = [each.detach().numpy() for each in one.model.parameters() if each.requires_grad]
    strategy = Timed(
        fraction_evaluate=0.0,
        min_fit_clients=options.clients,
        min_available_clients=options.clients,
        initial_parameters=ndarrays_to_parameters(tuned),
    )
    start_server(
        server_address=options.address,
        config=ServerConfig(num_rounds=options.rounds),
        strategy=strategy,
    )
    apart = [b - a for a, b in zip(strategy.ends, strategy.ends[1:], strict=False)]
    print(json.dumps({"seconds": apart, "losses": strategy.losses}))


def main():
    """One of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--address", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--number", type=int, help="of the client; none: the server")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.number is None:
        serve(options)
        return
    client = Client(given(options.run), options.number, options.clients, options.steps)
    start_client(server_address=options.address, client=client.to_client(), max_wait_time=120)


main()
