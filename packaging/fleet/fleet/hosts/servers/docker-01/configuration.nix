{ system.stateVersion = "25.11"; }
