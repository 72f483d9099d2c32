//! GitHub's own API description, request by request.
