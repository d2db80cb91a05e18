"""The verbs of webhooks."""

from backend.domain.webhooks.service.webhooks import Webhooks
from backend.domain.webhooks.service.worker import DeliveryWorker

__all__ = ["DeliveryWorker", "Webhooks"]
