from telefold.cli.main import main

main()
