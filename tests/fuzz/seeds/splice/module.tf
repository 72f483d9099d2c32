# The catalog's Airflow: webserver, scheduler and workers on one EC2 instance.
#
# The instance is replaced whenever its user data changes, so everything in here
# that ends up in the user data leads to a service deployment.

locals {
  # Shared with the monitors.
  catalog_airflow_name = "catalog-airflow"
  catalog_airflow_port = 8080
}

module "catalog-airflow" {
  source = "../../modules/catalog-airflow"

  name        = local.catalog_airflow_name
  environment = "prod"

  # Network
  port     = local.catalog_airflow_port
  hostname = "airflow.openverse.engineering"

  # Size: the data refresh needs the memory
  instance_type = "m5.2xlarge"
  volume_size   = 500

  # Image: bump with `just bump prod catalog-airflow`
  docker_image_repository = "ghcr.io/wordpress/openverse-catalog"
  docker_image_tag        = "rel-2024.09.30.10.20.30"

  # Set this to true only once no DAG is running, and back to false
  # right after the deployment. It must never be merged as true: the
  # next deployment would not be guarded.
  running_dags_cleared = false

  # Alerts
  slack_channel = "openverse-alerts"
}
