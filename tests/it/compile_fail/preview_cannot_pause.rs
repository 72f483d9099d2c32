use catalog_deploy::engine::preview::Preview;

async fn pause(preview: &Preview<'_>) {
    let _ = preview.readers.airflow.set_paused("image_data_refresh", true).await;
}

fn main() {}
