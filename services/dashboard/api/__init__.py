"""HTTP of the dashboard but for its pages: who may do what, headers, files, the audit log as JSON."""
