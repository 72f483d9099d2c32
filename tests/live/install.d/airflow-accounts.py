"""Accounts of Airflow 2, which keeps them in its database; Airflow 3's simple auth manager reads them from its settings."""

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.security import permissions

with get_application_builder() as builder:
    security = builder.sm
    security.sync_roles()
    blind = security.add_role("Blind")
    for resource in (permissions.RESOURCE_DAG_RUN, permissions.RESOURCE_TASK_INSTANCE, permissions.RESOURCE_IMPORT_ERROR):
        read = security.create_permission(permissions.ACTION_CAN_READ, resource)
        security.add_permission_to_role(blind, read)
    for name, role in {"admin": "Admin", "viewer": "Viewer", "nobody": "Public", "blind": "Blind"}.items():
        security.add_user(name, name, "Live", f"{name}@localhost", security.find_role(role), "secret")
