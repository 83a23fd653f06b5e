{ ... }: {
  units."lab-db.service" = ''
    [Unit]
    Description=The service of role db

    [Service]
    ExecStart=/bin/sleep infinity
    Environment=VERSION=1

    [Install]
    WantedBy=multi-user.target
  '';
}
