use super::*;
use crate::web;

const FOLDER: &str = "v1.36/deb";

async fn get(repository: &PackageRepository, path: &str, headers: &str) -> Result<web::Answer> {
    web::get(repository.address, path, headers).await
}

#[tokio::test]
async fn what_is_published_is_served_and_not_twice() {
    let repository = PackageRepository::start().await.unwrap();
    repository.publish(FOLDER, "1.36.0-1.1");
    let first = get(&repository, "/v1.36/deb/Packages", "").await.unwrap();
    assert_eq!(first.status, 200);
    assert!(first.body.contains("Package: kubeadm\nVersion: 1.36.0-1.1\nArchitecture: amd64\n"));

    let tag = first.header("etag").unwrap();
    let again = format!("If-None-Match: {tag}\r\n");
    assert_eq!(get(&repository, "/v1.36/deb/Packages", &again).await.unwrap().status, 304);
    repository.publish(FOLDER, "1.36.1-1.1");
    let changed = get(&repository, "/v1.36/deb/Packages", &again).await.unwrap();
    assert_eq!(changed.status, 200);
    assert!(changed.body.contains("1.36.0-1.1") && changed.body.contains("1.36.1-1.1"));

    assert_eq!(get(&repository, "/v1.37/deb/Packages", "").await.unwrap().status, 404);
    let seen: Vec<_> = repository.requests(FOLDER).iter().map(|r| (r.conditional, r.status)).collect();
    assert_eq!(seen, [(false, 200), (true, 304), (true, 200)]);
}

#[tokio::test]
async fn it_misbehaves_until_it_is_told_to_behave() {
    let repository = PackageRepository::start().await.unwrap();
    repository.publish(FOLDER, "1.36.0-1.1");
    let path = "/v1.36/deb/Packages";

    repository.misbehave(FOLDER, Misbehaviour::Status(500));
    assert_eq!(get(&repository, path, "").await.unwrap().status, 500);
    repository.misbehave(FOLDER, Misbehaviour::Html);
    assert!(get(&repository, path, "").await.unwrap().body.contains("<html>"));
    repository.misbehave(FOLDER, Misbehaviour::Empty);
    assert_eq!(get(&repository, path, "").await.unwrap().body, "");
    repository.misbehave(FOLDER, Misbehaviour::Truncated);
    let cut = get(&repository, path, "").await.unwrap();
    let promised: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert!(cut.body.len() < promised, "{} of {promised}", cut.body.len());
    repository.misbehave(FOLDER, Misbehaviour::Huge);
    assert!(get(&repository, path, "").await.unwrap().body.len() >= 200_000_000);

    repository.behave(FOLDER);
    assert!(get(&repository, path, "").await.unwrap().body.contains("kubeadm"));
}
