"""An anomaly's explanation, asked of the server and told for a reader."""

from agent.conversation import Conversation
from agent.explanations.explaining import Explained, explain
from agent.explanations.readers import Audience
from agent.looking import Looks
from agent.models import language_models
from agent.narration.words import Reader


async def explained(conversation: Conversation, anomaly: str, audience: Audience) -> Explained:
    """The explanation, written by the settings' models or the template. Raises `NothingThere` if there is no such anomaly."""
    told = await Looks(conversation).at("explain_anomaly", {"anomaly": anomaly})
    settings, asking = conversation.settings, conversation.asking
    reader = Reader(asking.zone, asking.clock().astimezone(asking.zone))
    models = language_models(settings)
    return await explain(told, audience, reader, folder=settings.explanations, models=models, timeout=settings.model_timeout)
