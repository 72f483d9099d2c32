# the catalog
docker_image_tag = "rel-2024.06.13.17.07.54" # bumped
running_dags_cleared = false
