"""What a run is started with over HTTP."""

from typing import Annotated

from pydantic import Field

from server.api.fields import Asked, FleetName
from server.tools.asked_settings import AskedSettings

_Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]


class AskedRun(Asked):
    """What to read, for which fleet."""

    location: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")] = Field(
        description="on the server's machine: a CSV or Parquet file, a folder, file.duckdb::table, or a plan of `synthetic`"
    )
    connector: Annotated[str, Field(min_length=1, max_length=60)] = "files"
    fleet: FleetName = "default"
    options: dict[Annotated[str, Field(max_length=60)], _Text] = Field(
        default={}, max_length=20, description="the connector's options, such as which column is the device"
    )
    settings: AskedSettings | None = Field(default=None, description="what the run differs in from the usual settings")
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,100}$")] = Field(
        default="", description="your name for this request: sent again, it gives the same run"
    )
