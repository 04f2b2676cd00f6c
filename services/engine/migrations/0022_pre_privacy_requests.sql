-- The requests of shop systems to erase people for which there is a data deletion job.
CREATE TABLE privacy_jobs (
    tenant text NOT NULL,
    request_id text NOT NULL,
    PRIMARY KEY (tenant, request_id)
);
