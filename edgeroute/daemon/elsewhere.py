"""Who may answer besides the pool: the providers that the settings and the house itself name."""

from collections.abc import Callable

from edgeroute.backends.calculator import CALCULATOR, Calculator
from edgeroute.backends.openai_compatible import OpenAICompatible
from edgeroute.backends.program import Program
from edgeroute.backends.tool import Runs, Tool, target_of
from edgeroute.backends.web_tool import WebTool
from edgeroute.catalog.known import KnownModels
from edgeroute.config import Settings
from edgeroute.domain.destination import Destination, ModelPrior, ToolProgram
from edgeroute.domain.privacy import Zone
from edgeroute.ports import Provider
from edgeroute.runtime.egress import Egress
from edgeroute.runtime.providers import Providers
from edgeroute.understanding.sensitivity import scan_texts

_CALCULATOR_S = 1.0


def providers_of(settings: Settings, clock: Callable[[], float]) -> Providers:
    """Everyone behind the egress gate."""
    known = KnownModels.shipped()
    named: list[Provider] = [
        Tool(CALCULATOR, Calculator(), _CALCULATOR_S),
        *(_tool(program) for program in settings.tools),
        *(_destination(destination, known) for destination in settings.destinations),
    ]
    return Providers(named, Egress(scan_texts), clock)


def _tool(program: ToolProgram) -> Tool:
    runs: Runs = (
        Program(program.command)
        if program.command
        else WebTool(program.name, program.url, program.key)
    )
    return Tool(target_of(program), runs, program.timeout_s, program.schema)


def _destination(destination: Destination, known: KnownModels) -> OpenAICompatible:
    afar = destination.zone is Zone.CLOUD

    def prior(name: str) -> ModelPrior:
        return known.named(name, afar=afar)

    return OpenAICompatible(destination, prior)
