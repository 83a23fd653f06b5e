{ ... }: {
  units."lab-web.service" = ''
    [Unit]
    Description=The service of role web

    [Service]
    ExecStart=/bin/sleep infinity
    Environment=VERSION=1

    [Install]
    WantedBy=multi-user.target
  '';
}
