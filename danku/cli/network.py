"""`danku network`: which contract on which chain the workspace plays on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from danku.cli.session import Session, command

if TYPE_CHECKING:
    from danku.ledger.ethereum.chain import Chain
    from danku.ledger.ethereum.network import Network

app = typer.Typer(name="network", help="Ethereum networks to play on.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The network's name.", metavar="NAME")]
RpcOption = Annotated[
    str,
    typer.Option(
        "--rpc",
        metavar="URL",
        envvar="DANKU_RPC_URL",
        help="A node's JSON-RPC address; it is kept in the private folder.",
    ),
]
ConfirmationsOption = Annotated[
    int, typer.Option("--confirmations", min=1, help="Blocks before an action counts.")
]
MaxFeeOption = Annotated[
    int, typer.Option("--max-fee-gwei", min=1, help="Most that a unit of gas may cost.")
]
MaxTipOption = Annotated[
    int, typer.Option("--max-tip-gwei", min=0, help="Most of it that is a tip.")
]
NumberOption = Annotated[
    int, typer.Option("--number", min=0, help="Which one, of several with the same choices.")
]


def _chain(url: str) -> Chain:
    from danku.ledger.ethereum.chain import Chain
    from danku.ledger.ethereum.transport import Transport

    return Chain(Transport(url))


def _address(text: str, option: str) -> str:
    import re

    from danku.ledger.ethereum.errors import BadNetwork

    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise BadNetwork(f"{option}: {text!r} is not an address", fix="give 0x and 40 hex digits")
    return text.lower()


def _value(session: Session, name: str, network: Network) -> dict[str, object]:
    from danku.protocol.types import ZERO_ADDRESS

    return {
        "name": name,
        "chain_id": network.chain_id,
        "contract": network.contract,
        "token": None if network.currency == ZERO_ADDRESS else network.currency,
        "stake": network.stake,
        "unbonding": network.unbonding,
        "first_block": network.first_block,
        "confirmations": network.confirmations,
        "max_fee_gwei": network.max_fee_gwei,
        "max_tip_gwei": network.max_tip_gwei,
        "used": session.workspace.network == name,
    }


def _kept(session: Session, name: str, network: Network, url: str) -> None:
    from danku.roles.networks import keep
    from danku.roles.workspace import CONFIG

    workspace = session.workspace
    keep(workspace.root / CONFIG, workspace.private, name, network, url)
    value = _value(session, name, network)

    def show() -> None:
        session.out.tell(f"{name}: contract {network.contract} on chain {network.chain_id}")
        session.say(f"next: danku network use {name}")

    session.emit(value, show)


@command(app, "add", "danku network add sepolia --rpc https://node.example --contract 0x…")
def add(
    session: Session,
    name: NameArgument,
    rpc: RpcOption,
    contract: Annotated[
        str | None, typer.Option("--contract", metavar="ADDRESS", help="Where the arena is.")
    ] = None,
    first_block: Annotated[
        int | None,
        typer.Option("--first-block", min=0, help="The block that made it; else it is looked for."),
    ] = None,
    number: NumberOption = 0,
    confirmations: ConfirmationsOption = 2,
    max_fee_gwei: MaxFeeOption = 200,
    max_tip_gwei: MaxTipOption = 5,
) -> None:
    """Add a contract that is there, once its address was seen to be that of danku's code.

    Without --contract, a network that is known gets another node.
    """
    from danku.errors import UsageError
    from danku.ledger.ethereum.deployment import first_block_of, inspect
    from danku.ledger.ethereum.network import Network
    from danku.roles.networks import check_name, find

    check_name(name)
    chain = _chain(rpc)
    if contract is None and name not in session.workspace.networks:
        raise UsageError(
            f"the network {name} is new, so its contract has to be named",
            fix=f"danku network add {name} --rpc URL --contract ADDRESS",
        )
    if contract is None:
        network = find(session.workspace.networks, name)
        inspect(chain, network)
    else:
        bare = Network(
            chain_id=chain.chain_id(),
            contract=_address(contract, "--contract"),
            number=number,
            confirmations=confirmations,
            max_fee_gwei=max_fee_gwei,
            max_tip_gwei=max_tip_gwei,
        )
        network = inspect(chain, bare)
        first = first_block_of(chain, network.contract) if first_block is None else first_block
        network = _from_block(network, first)
    _kept(session, name, network, rpc)


def _from_block(network: Network, first: int) -> Network:
    from msgspec.structs import replace

    return replace(network, first_block=first)


@command(app, "deploy", "danku network deploy sepolia --rpc https://node.example --as organizer")
def deploy(
    session: Session,
    name: NameArgument,
    rpc: RpcOption,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="ADDRESS", help="An ERC-20 token for all money."),
    ] = None,
    stake: Annotated[
        int, typer.Option("--stake", min=0, help="Deposit of one validator's seat; 0 for none.")
    ] = 0,
    unbonding: Annotated[
        str, typer.Option("--unbonding", help="How long a stake stays bound after leaving.")
    ] = "30d",
    block_seconds: Annotated[
        int, typer.Option("--block-seconds", min=1, help="Shortest time between two blocks.")
    ] = 12,
    number: NumberOption = 0,
    confirmations: ConfirmationsOption = 2,
    max_fee_gwei: MaxFeeOption = 200,
    max_tip_gwei: MaxTipOption = 5,
) -> None:
    """Put the contracts on a chain and add the network; nobody owns or can change them.

    An arena that is there already, with the same choices and number, is added as it is.
    """
    from msgspec.structs import replace

    from danku.ledger.ethereum.deployment import Choices, inspect
    from danku.ledger.ethereum.deployment import deploy as deploy_contracts
    from danku.ledger.ethereum.network import Network
    from danku.ledger.ethereum.sender import Sender
    from danku.protocol.types import ZERO_ADDRESS
    from danku.roles.networks import check_name, folder_of
    from danku.roles.setup import registry_terms

    check_name(name)
    chain, registry = _chain(rpc), registry_terms(stake, unbonding)
    choices = Choices(
        currency=_address(token, "--token") if token else ZERO_ADDRESS,
        stake=int(registry.stake) if registry else 0,
        unbonding=registry.unbonding if registry else 0,
        block_seconds=block_seconds,
        number=number,
    )
    bare = Network(
        chain_id=chain.chain_id(),
        contract=ZERO_ADDRESS,
        number=number,
        confirmations=confirmations,
        max_fee_gwei=max_fee_gwei,
        max_tip_gwei=max_tip_gwei,
    )
    private = folder_of(session.workspace.private, name)
    sender = Sender(chain, bare, private, approve=session.approve)
    court, arena = deploy_contracts(chain, sender, session.key, choices)
    session.say(f"court {court.contract} in block {court.block}")
    found = replace(bare, contract=arena.contract, first_block=arena.block)
    _kept(session, name, inspect(chain, found), rpc)


@command(app, "list", "danku network list")
def list_(session: Session) -> None:
    """List the networks of this workspace, and which one it plays on."""
    from danku.cli.render import table
    from danku.roles.networks import EMBEDDED

    workspace = session.workspace
    value = {
        "used": workspace.network,
        "networks": [
            _value(session, name, network) for name, network in sorted(workspace.networks.items())
        ],
    }
    embedded = (EMBEDDED, "", "the ledger in a file", _mark(workspace.network == EMBEDDED))
    rows = [
        (name, str(network.chain_id), network.contract, _mark(workspace.network == name))
        for name, network in sorted(workspace.networks.items())
    ]
    heads = ("name", "chain", "contract", "")
    session.emit(value, lambda: session.out.print(table("", heads, [embedded, *rows])))


def _mark(used: bool) -> str:
    return "[green]used[/]" if used else ""


@command(app, "use", "danku network use sepolia")
def use(session: Session, name: NameArgument) -> None:
    """Have this workspace play on a network, or on the embedded ledger again."""
    from danku.roles.networks import use as use_network
    from danku.roles.workspace import CONFIG

    workspace = session.workspace
    use_network(workspace.root / CONFIG, workspace.networks, name)
    session.emit({"used": name}, lambda: session.out.tell(f"this workspace plays on {name}"))
