//! Real just, Terraform and git, over file and smart HTTP.
