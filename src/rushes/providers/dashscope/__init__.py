"""Alibaba's Model Studio (DashScope): Wan and HappyHorse."""

from rushes.providers.dashscope.provider import PROVIDER as PROVIDER
